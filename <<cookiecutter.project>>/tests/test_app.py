"""The application answers."""


def test_health_is_ok_on_a_migrated_database(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert (response.json["database"], response.json["schema"]) == ("ok", "at head")
<% if cookiecutter.starter != "bare" %>


def test_health_says_that_the_schema_is_behind(empty_app):
    response = empty_app.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json["schema"] == "behind"
<% endif %>


def test_a_page_that_is_not_there_looks_like_the_rest(client):
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "<nav" in page.text
