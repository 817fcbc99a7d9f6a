<% if cookiecutter.starter == "blog" %>
-- The schema that the migrations make. Written by newmigration, held equal by check.

CREATE TABLE post (
    id serial NOT NULL,
    user_id integer NOT NULL,
    title character varying(200) NOT NULL,
    slug character varying(200) NOT NULL,
    body text NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    summary character varying(500),
    published_at timestamp without time zone,
    CONSTRAINT pk_post PRIMARY KEY (id),
    CONSTRAINT uq_post_slug UNIQUE (slug)
);

CREATE INDEX ix_post_user_id ON public.post USING btree (user_id);

CREATE TABLE "user" (
    id serial NOT NULL,
    name character varying(80) NOT NULL,
    email character varying(255) NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT uq_user_email UNIQUE (email)
);

ALTER TABLE post ADD CONSTRAINT fk_post_user_id_user FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
<% else %>
-- The schema that the migrations make. Written by newmigration, held equal by check.

CREATE TABLE role (
    id serial NOT NULL,
    name character varying(80) NOT NULL,
    description character varying(255),
    CONSTRAINT pk_role PRIMARY KEY (id),
    CONSTRAINT uq_role_name UNIQUE (name)
);

CREATE TABLE "user" (
    id serial NOT NULL,
    name character varying(80) NOT NULL,
    email character varying(255) NOT NULL,
    created_at timestamp without time zone DEFAULT now() NOT NULL,
    password character varying(255),
    active boolean DEFAULT true NOT NULL,
    fs_uniquifier character varying(64) NOT NULL,
    confirmed_at timestamp without time zone,
    tf_primary_method character varying(64),
    tf_totp_secret character varying(255),
    tf_counter integer DEFAULT 0 NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT uq_user_email UNIQUE (email),
    CONSTRAINT uq_user_fs_uniquifier UNIQUE (fs_uniquifier)
);

CREATE TABLE user_role (
    user_id integer NOT NULL,
    role_id integer NOT NULL,
    CONSTRAINT pk_user_role PRIMARY KEY (user_id, role_id)
);

CREATE INDEX ix_user_role_role_id ON public.user_role USING btree (role_id);

ALTER TABLE user_role ADD CONSTRAINT fk_user_role_role_id_role FOREIGN KEY (role_id) REFERENCES role(id) ON DELETE CASCADE;

ALTER TABLE user_role ADD CONSTRAINT fk_user_role_user_id_user FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE;
<% endif %>
