"""Entity tags and conditional requests, as RFC 9110 has them: of every resource, in both dialects."""

import pytest

from tests.client import World, flat_path
from tests.test_round_trips import FLAT


@pytest.mark.parametrize("form", ["{}", "{},", ",{}", ' , {} ,, "x"', '"a,b",{}', '"a,{}', 'W/"v-7",\t{}\t'])
def test_a_list_of_tags_is_read_as_http_says(shared: World, form: str) -> None:
    """Empty elements are none, and a comma within quotes is a character."""
    project = shared.new_project()
    tag = shared("GET", project).headers["etag"]
    answer = shared("PATCH", project, {"name": "B"}, headers={"If-Match": form.format(tag)})
    assert answer.status == (422 if form == '"a,{}' else 200)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_tag_of_one_dialect_is_no_version_in_the_other(shared: World, method: str) -> None:
    """Both counters are 1 here."""
    v1 = shared.new_project()
    paths = {"PATCH": v1, "PUT": flat_path(v1)}
    mine = shared("GET", paths.pop(method)).headers["etag"]
    ((other, path),) = paths.items()
    body = FLAT if other == "PUT" else {"name": "B"}
    assert mine == ('"v-1"' if method == "PATCH" else '"f-1"')
    assert shared(other, path, body, headers={"If-Match": mine}).status == 412
    assert shared("DELETE", path, headers={"If-Match": mine}).status == 412
    assert (
        shared(other, path, body, headers={"If-Match": f"{mine}, {shared('GET', path).headers['etag']}"}).status == 200
    )


def test_a_version_never_comes_twice_under_one_address(shared: World) -> None:
    """Who is removed and added again is another membership."""
    project = shared.new_project()
    member = shared.new_member(project, "viewer", "viewer")
    first = shared("GET", member).headers["etag"]
    assert shared("DELETE", member, headers={"If-Match": first}).status == 204
    shared.new_member(project, "viewer", "viewer")
    again = shared("GET", member)
    assert again.headers["etag"] != first
    body = {"role_id": shared.role("contributor")}
    for method in ("PATCH", "DELETE"):
        assert shared(method, member, body, headers={"If-Match": first}).status == 412
    assert shared("GET", member).seen == again.seen
    assert shared("PATCH", member, body, headers={"If-Match": again.headers["etag"]}).status == 200
