"""What gunicorn does when it is started in this folder; its command line wins over it."""

import os
import tempfile

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
threads = 8  # of each worker (WEB_CONCURRENCY says how many): browsers keep connections open
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # no disk is waited for
control_socket = os.path.join(tempfile.gettempdir(), f"gunicorn-{os.getpid()}.ctl")
