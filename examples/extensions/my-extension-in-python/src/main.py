"""The example of docs/extensions.md in Python."""

import uuid

name = "my-extension"
version = "1.0.0"


def init(router, services):
    db = services.db
    db.exec("""
        CREATE TABLE IF NOT EXISTS ext_my_extension_items (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created_at DATETIME DEFAULT CURRENT_TIMESTAMP
        )
    """)

    @router.get("/items")
    def items(req):
        return {"items": db.prepare("SELECT * FROM ext_my_extension_items").all()}

    @router.post("/items")
    def add(req):
        name = req.body["name"]
        ident = str(uuid.uuid4())
        db.prepare("INSERT INTO ext_my_extension_items (id, name) VALUES (?, ?)").run(ident, name)
        services.audit_log("create", "item", ident, {"name": name})
        services.broadcast("items", {"id": ident, "name": name})
        return 201, {"id": ident, "name": name}
