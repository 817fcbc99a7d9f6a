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
