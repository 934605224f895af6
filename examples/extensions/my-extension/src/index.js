module.exports = {
  name: 'my-extension',
  version: '1.0.0',

  init(router, services) {
    const { db, broadcast, auditLog } = services;

    db.exec(`
      CREATE TABLE IF NOT EXISTS ext_my_extension_items (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP
      )
    `);

    router.get('/items', (req, res) => {
      res.json({ items: db.prepare('SELECT * FROM ext_my_extension_items').all() });
    });

    router.post('/items', (req, res) => {
      const { name } = req.body;
      const id = crypto.randomUUID();
      db.prepare('INSERT INTO ext_my_extension_items (id, name) VALUES (?, ?)').run(id, name);
      auditLog('create', 'item', id, { name });
      broadcast('items', { id, name });
      res.status(201).json({ id, name });
    });
  }
};
