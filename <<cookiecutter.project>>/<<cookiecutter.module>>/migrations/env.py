from flask_keel import env

env.run()
