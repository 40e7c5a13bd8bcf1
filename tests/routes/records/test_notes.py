"""Notes on tasks."""

from tests.support.client import (
    A_MOMENT,
    AN_ID,
    World,
    flat_path,
)
from tests.support.records import id_of, next_page


def test_notes_are_added_listed_and_deleted_by_their_author(shared: World) -> None:
    project = shared.new_project()
    task = flat_path(shared.new_record(project, "tasks"))
    made = [
        shared("POST", f"{task}/notes", {"content": f"Note {number}"}, by=by)
        for number, by in enumerate(("owner", "contributor", "owner"))
    ]
    assert [answer.status for answer in made] == [201] * 3
    whole = {
        "_id": AN_ID,
        "task": id_of(task),
        "content": "Note 1",
        "createdBy": shared.id("contributor"),
        "createdAt": A_MOMENT,
    }
    assert made[1].body == whole
    notes = [answer.body for answer in made]
    assert shared("GET", f"{task}/notes", by="viewer").seen == (200, notes)
    assert shared("GET", task).body["notes"] == notes
    page = shared("GET", f"{task}/notes?limit=2")
    assert page.body == notes[:2]
    assert shared("GET", next_page(page)).body == notes[2:]
    theirs = f"{task}/notes/{notes[1]['_id']}"
    assert shared("DELETE", theirs).seen == (403, {"error": "Only its author can delete a note."})
    assert shared("DELETE", theirs, by="contributor").seen == (200, {"message": "Note deleted successfully."})
    assert shared("DELETE", theirs, by="contributor").seen == (404, {"error": "Note not found."})
    for content in ("", " ", None, 1):
        assert shared("POST", f"{task}/notes", {"content": content}).status == 400
    assert shared("DELETE", task).status == 200
    assert shared("GET", f"{task}/notes").seen == (404, {"error": "Task not found."})
    assert shared("POST", f"{task}/notes", {"content": "x"}).seen == (404, {"error": "Task not found."})
    assert shared("DELETE", f"{task}/notes/{notes[0]['_id']}").seen == (404, {"error": "Task not found."})
