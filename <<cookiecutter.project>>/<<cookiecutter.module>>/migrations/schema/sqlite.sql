<% if cookiecutter.starter == "blog" %>
-- The schema that the migrations make. Written by newmigration, held equal by check.

CREATE TABLE post (
    id INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    title VARCHAR(200) NOT NULL,
    slug VARCHAR(200) NOT NULL,
    body TEXT NOT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    summary VARCHAR(500),
    published_at DATETIME,
    CONSTRAINT pk_post PRIMARY KEY (id),
    CONSTRAINT fk_post_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE,
    CONSTRAINT uq_post_slug UNIQUE (slug)
);

CREATE INDEX ix_post_user_id ON post (user_id);

CREATE TABLE user (
    id INTEGER NOT NULL,
    name VARCHAR(80) NOT NULL,
    email VARCHAR(255) NOT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT uq_user_email UNIQUE (email)
);
<% else %>
-- The schema that the migrations make. Written by newmigration, held equal by check.

CREATE TABLE role (
    id INTEGER NOT NULL,
    name VARCHAR(80) NOT NULL,
    description VARCHAR(255),
    CONSTRAINT pk_role PRIMARY KEY (id),
    CONSTRAINT uq_role_name UNIQUE (name)
);

CREATE TABLE user (
    id INTEGER NOT NULL,
    name VARCHAR(80) NOT NULL,
    email VARCHAR(255) NOT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
    password VARCHAR(255),
    active BOOLEAN DEFAULT 1 NOT NULL,
    fs_uniquifier VARCHAR(64) NOT NULL,
    confirmed_at DATETIME,
    tf_primary_method VARCHAR(64),
    tf_totp_secret VARCHAR(255),
    tf_counter INTEGER DEFAULT '0' NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT uq_user_email UNIQUE (email),
    CONSTRAINT uq_user_fs_uniquifier UNIQUE (fs_uniquifier)
);

CREATE TABLE user_role (
    user_id INTEGER NOT NULL,
    role_id INTEGER NOT NULL,
    CONSTRAINT pk_user_role PRIMARY KEY (user_id, role_id),
    CONSTRAINT fk_user_role_user_id_user FOREIGN KEY(user_id) REFERENCES user (id) ON DELETE CASCADE,
    CONSTRAINT fk_user_role_role_id_role FOREIGN KEY(role_id) REFERENCES role (id) ON DELETE CASCADE
);

CREATE INDEX ix_user_role_role_id ON user_role (role_id);
<% endif %>
