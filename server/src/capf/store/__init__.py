"""All SQL: schema, migrations, the engine with its one writer, and the statements of each table."""
