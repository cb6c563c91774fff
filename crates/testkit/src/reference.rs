//! The reference page, out of the catalog of a server with the extension: it can't say anything else than what is there.

use crate::{Cluster, Result, Server};
use postgres::{Client, Row};
use std::fmt::Write;

const HEAD: &str = "# Reference

Made by `make reference` from the catalog and its comments: don't edit. Everything is in the schema `ruvector`. What belongs
together, and what the numbers mean, is told in [sql.md](sql.md); what settings do in [settings.md](settings.md).
";

/// Members of the extension of a catalog, as a condition on `d.objid`.
const MEMBERS: &str = "JOIN pg_depend AS d ON d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ruvector_dag')";

/// Whom an access control list names besides the owner.
const GRANTEES: &str = "(SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END, ', ')
    FROM aclexplode(acl) AS a WHERE a.privilege_type = privilege AND a.grantee <> owner)";

/// The page of the extension that a server has.
pub fn of_server(server: &Server) -> Result<String> {
    let cluster = Cluster::builder(server).start()?;
    let mut client = cluster.client("postgres")?;
    client.batch_execute("CREATE EXTENSION ruvector_dag")?;
    let mut page = HEAD.to_owned();
    functions(&mut client, &mut page)?;
    relations(&mut client, &mut page)?;
    settings(&mut client, &mut page)?;
    Ok(page)
}

fn functions(client: &mut Client, page: &mut String) -> Result<()> {
    let arguments = |modes: &str, default: &str| {
        format!(
            "(SELECT coalesce(string_agg(concat(p.proargnames[a.at], ' ', format_type(a.type, NULL), {default}), ', ' ORDER BY a.at), '')
              FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS a (type, at)
              WHERE coalesce(p.proargmodes[a.at], 'i') IN ({modes}))"
        )
    };
    let default = "' = ' || regexp_replace(pg_get_function_arg_default(p.oid, a.at::integer), '::[a-z ]+(\\[\\])?$', '')";
    let sql = format!(
        "SELECT p.proname || '(' || {inputs} || ')', obj_description(p.oid, 'pg_proc'), {outputs},
            format_type(p.prorettype, NULL), p.proretset,
            concat_ws(', ', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
                CASE WHEN p.proisstrict THEN 'strict' END,
                CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' ELSE 'parallel unsafe' END),
            p.prosecdef, {grantees}
         FROM pg_proc AS p {MEMBERS} AND d.classid = 'pg_proc'::regclass AND d.objid = p.oid,
            LATERAL (SELECT coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner, 'EXECUTE') AS r (acl, owner, privilege)
         ORDER BY p.proname COLLATE \"C\", 1",
        inputs = arguments("'i', 'b', 'v'", default),
        outputs = arguments("'o', 'b', 't'", "''"),
        grantees = GRANTEES,
    );
    page.push_str("\n## Functions\n");
    for row in client.query(&sql, &[])? {
        let (signature, comment): (&str, Option<&str>) = (row.get(0), row.get(1));
        let (properties, is_definer, callers): (&str, bool, Option<&str>) =
            (row.get(5), row.get(6), row.get(7));
        write!(
            page,
            "\n### {}\n\n`{signature}`\n\n{}.\n\n- returns {}\n- {properties}; called by {}{}\n",
            signature.split('(').next().unwrap_or_default(),
            comment.unwrap_or("No comment"),
            returned(&row),
            callers.unwrap_or("superusers and whom they grant it to"),
            if is_definer {
                "; runs with its owner's rights"
            } else {
                ""
            },
        )?;
    }
    Ok(())
}

fn returned(row: &Row) -> String {
    let (columns, result, is_set): (&str, &str, bool) = (row.get(2), row.get(3), row.get(4));
    match (columns, result, is_set) {
        ("", "void", _) => "nothing".to_owned(),
        ("", result, true) => format!("rows of `{result}`"),
        ("", result, false) => format!("`{result}`"),
        (columns, _, true) => format!("rows of `{columns}`"),
        (columns, _, false) => format!("one row of `{columns}`"),
    }
}

fn relations(client: &mut Client, page: &mut String) -> Result<()> {
    let sql = format!(
        "SELECT c.relname::text, CASE c.relkind WHEN 'v' THEN 'a view' ELSE 'a table' END, obj_description(c.oid, 'pg_class'),
            c.relrowsecurity, {GRANTEES},
            (SELECT string_agg(concat('`', t.attname, ' ', format_type(t.atttypid, t.atttypmod), '`',
                ': ' || col_description(c.oid, t.attnum)), '; ' ORDER BY t.attnum)
             FROM pg_attribute AS t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped)
         FROM pg_class AS c {MEMBERS} AND d.classid = 'pg_class'::regclass AND d.objid = c.oid,
            LATERAL (SELECT coalesce(c.relacl, acldefault('r', c.relowner)), c.relowner, 'SELECT') AS r (acl, owner, privilege)
         WHERE c.relkind IN ('r', 'p', 'v', 'm')
         ORDER BY c.relname COLLATE \"C\""
    );
    page.push_str("\n## Tables and views\n");
    for row in client.query(&sql, &[])? {
        let (name, kind, comment): (&str, &str, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        let (has_policies, readers, columns): (bool, Option<&str>, &str) =
            (row.get(3), row.get(4), row.get(5));
        write!(
            page,
            "\n### {name}\n\n{}.\n\n- {kind}; read by {}{}\n- columns: {columns}\n",
            comment.unwrap_or("No comment"),
            readers.unwrap_or("its owner"),
            if has_policies {
                ", as far as its policies let them"
            } else {
                ""
            },
        )?;
    }
    Ok(())
}

fn settings(client: &mut Client, page: &mut String) -> Result<()> {
    let sql = "SELECT name, concat(nullif(boot_val, ''), ' ' || unit),
            coalesce(array_to_string(enumvals, ', '), min_val || ' to ' || max_val, vartype),
            CASE context WHEN 'user' THEN 'anybody' WHEN 'superuser' THEN 'superusers' WHEN 'sighup' THEN 'a reload'
                WHEN 'postmaster' THEN 'a restart' ELSE context END,
            concat_ws(' ', short_desc, extra_desc)
        FROM pg_settings WHERE name LIKE 'ruvector.%' ORDER BY name COLLATE \"C\"";
    page.push_str(
        "\n## Settings\n\n| name | default | values | changed by | meaning |\n|---|---|---|---|---|\n",
    );
    for row in client.query(sql, &[])? {
        let cells: Vec<String> = (0..5)
            .map(|at| row.get::<_, &str>(at).replace('|', "\\|"))
            .collect();
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}
