//! Role lines: `g` for subjects, `g2` for resources, held against the registry and the catalogue.

use super::Loader;
use crate::kernel::diagnostic::did_you_mean;
use crate::kernel::id::GroupName;
use crate::policy::csv::{Cell, Row, Section};
use crate::policy::roles::{MAX_LINKS, NoLink, Node};
use crate::policy::vocabulary::EVERYONE;

impl Loader<'_> {
    /// Reads all role lines.
    pub(super) fn groups(&mut self, rows: &[Row]) {
        let mut taken = Vec::new();
        for row in rows {
            let [member, group] = row.cells.as_slice() else { continue };
            if self.has_seen_enough() {
                return;
            }
            let checked = match row.section {
                Section::P => continue,
                Section::G => self.subject_role(row, member, group),
                Section::G2 => self.resource_role(row, member, group),
            };
            if checked.is_some()
                && let Some((member, group)) = self.link(row, &member.text, &group.text)
            {
                taken.push((row, member, group));
            }
        }
        for (row, member, group) in taken {
            let roles =
                if row.section == Section::G { &self.vocabulary.subjects } else { &self.vocabulary.themes };
            let links = roles.longest_through(member, group);
            if links > MAX_LINKS {
                let message = format!("this line is part of a chain of {links} roles or more");
                let help = format!("a chain has at most {MAX_LINKS} links: name the inner members directly");
                self.error("role-too-deep", row.span.clone(), message, help);
            }
        }
    }

    fn link(&mut self, row: &Row, member: &str, group: &str) -> Option<(Node, Node)> {
        let roles = if row.section == Section::G {
            &mut self.vocabulary.subjects
        } else {
            &mut self.vocabulary.themes
        };
        let (from, to) = (roles.node(member), roles.node(group));
        match roles.link(from, to) {
            Ok(()) => return Some((from, to)),
            Err(NoLink::Cycle) => {
                let message = format!("`{member}` would be a member of itself");
                self.error("role-cycle", row.span.clone(), message, "remove one line of the circle");
            }
            Err(NoLink::Repeated) => {
                let message = format!("`{member}` is in `{group}` already");
                self.warning("repeated-role", row.span.clone(), message, "remove this line");
            }
        }
        None
    }

    fn subject_role(&mut self, row: &Row, member: &Cell, group: &Cell) -> Option<()> {
        self.subject_name(member)?;
        if group.text == EVERYONE {
            let message = format!("every system and department is in `{EVERYONE}` already");
            self.warning("repeated-role", row.span.clone(), message, "remove this line");
            return Some(());
        }
        if group_name(&group.text, "group:") {
            return Some(());
        }
        let registered = self.catalog.registry.systems.get(member.text.as_str());
        if registered.is_some_and(|system| system.department.as_str() == group.text) {
            let message = format!("the registry says that `{}` is in `{}`", member.text, group.text);
            self.warning("repeated-role", row.span.clone(), message, "remove this line");
            return None;
        }
        if let Some(system) = registered
            && group.text.starts_with("dept:")
        {
            let message = format!("`{}` is not in `{}`", member.text, group.text);
            let help =
                format!("the registry says `{}`: mend it there, or make a `group:`", system.department);
            self.error("contradicts-registry", row.span.clone(), message, help);
        } else {
            let message = format!("`{}` cannot have members", group.text);
            let help = "write `group:` and a lower-case word, such as `group:livelihood`; only the registry puts systems into departments";
            self.error("bad-role", group.span.clone(), message, help);
        }
        None
    }

    /// Checks that a subject exists, as far as that can be known before all role lines are read.
    fn subject_name(&mut self, cell: &Cell) -> Option<()> {
        let text = cell.text.as_str();
        let registry = &self.catalog.registry;
        let known = if text.starts_with("sys:") {
            registry.systems.contains_key(text)
        } else if text.starts_with("dept:") {
            registry.departments.contains_key(text)
        } else {
            group_name(text, "group:")
        };
        if !known {
            self.unknown_subject(cell);
        }
        known.then_some(())
    }

    /// Reports a subject that nobody has registered.
    pub(super) fn unknown_subject(&mut self, cell: &Cell) {
        let text = cell.text.as_str();
        let (code, kind) = if text.starts_with("sys:") {
            ("unknown-system", "system")
        } else if text.starts_with("dept:") {
            ("unknown-department", "department")
        } else if text.starts_with("group:") {
            ("unknown-group", "group")
        } else {
            ("unknown-subject", "subject")
        };
        let help = if text == "*" {
            format!("write `{EVERYONE}` for every system")
        } else if let Some(near) = did_you_mean(text, self.vocabulary.subjects.names()) {
            format!("did you mean `{near}`?")
        } else if kind == "group" {
            "a group exists where a `g` line puts somebody into it".to_owned()
        } else {
            "write a `sys:` or `dept:` of registry.toml, or a `group:`".to_owned()
        };
        self.error(code, cell.span.clone(), format!("unknown {kind} `{text}`"), help);
    }

    fn resource_role(&mut self, row: &Row, member: &Cell, group: &Cell) -> Option<()> {
        let text = member.text.as_str();
        let registered = self.catalog.resources.get(text);
        if registered.is_none() && !group_name(text, "theme:") {
            self.unknown_resource(member);
            return None;
        }
        if group_name(&group.text, "theme:") {
            return Some(());
        }
        let (span, group) = (row.span.clone(), group.text.as_str());
        match registered {
            Some(resource) if group == crate::policy::vocabulary::sharing_name(resource.sharing) => {
                let message = format!("the catalogue says that `{text}` is in `{group}`");
                self.warning("repeated-role", span, message, "remove this line");
            }
            Some(resource) if group.starts_with("sharing:") => {
                let message = format!("`{text}` is not in `{group}`");
                let help = format!(
                    "the catalogue says `sharing = \"{}\"`: mend it there",
                    resource.sharing.as_str()
                );
                self.error("contradicts-catalogue", span, message, help);
            }
            _ => {
                let help = "write `theme:` and a lower-case word, such as `theme:livelihood`";
                self.error("bad-role", span, format!("`{group}` cannot have members"), help);
            }
        }
        None
    }

    /// Reports a resource that is not in the catalogue.
    pub(super) fn unknown_resource(&mut self, cell: &Cell) {
        let text = cell.text.as_str();
        let (code, kind) = if text.starts_with("theme:") {
            ("unknown-theme", "theme")
        } else if text.starts_with("sharing:") {
            ("unknown-sharing-type", "sharing type")
        } else {
            ("unknown-resource", "resource")
        };
        let help = if text == "*" {
            "write `sharing:unconditional` or `sharing:conditional`, a line each".to_owned()
        } else if let Some(near) = did_you_mean(text, self.vocabulary.themes.names()) {
            format!("did you mean `{near}`?")
        } else if kind == "theme" {
            "a theme exists where a `g2` line puts a resource into it".to_owned()
        } else {
            "write a resource of catalog.toml, a `sharing:` type or a `theme:`".to_owned()
        };
        self.error(code, cell.span.clone(), format!("unknown {kind} `{text}`"), help);
    }
}

fn group_name(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|name| GroupName::parse(name).is_ok())
}
