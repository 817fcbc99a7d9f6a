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
