//! A difference on a terminal.

use super::Compared;
use crate::cli::screen::Tone;
use crate::cli::table::{Cell, Table, plain, shown, toned};
use crate::cli::{CommandError, Screen};
use crate::grant::{ReleasedField, Treatment};
use crate::kernel::id::{GrantId, PurposeCode};
use crate::kernel::time::{TimeZone, Timestamp};
use crate::review::diff::{Capped, Consequence, Done, LineChange, Outcome, Stretch, Weight, WordChange};

/// How many changes of decisions are shown unless all are asked for.
const MAX_CHANGES: usize = 60;
/// How many names stand in one row unless all are asked for.
const MAX_NAMES: usize = 6;
/// How many stretches of time.
const MAX_STRETCHES: usize = 4;
/// How many lines or words of the policy.
const MAX_EDITS: usize = 40;

/// The difference for people.
pub(super) fn text(compared: &Compared<'_>, screen: &mut Screen<'_>) -> Result<(), CommandError> {
    let view = View { compared, zone: &compared.new.policy.frame().zone, all: compared.args.all };
    view.lines(screen)?;
    view.words(screen)?;
    view.consequences(screen)?;
    view.undetermined(screen)?;
    view.summary(screen)
}

struct View<'v> {
    compared: &'v Compared<'v>,
    zone: &'v TimeZone,
    all: bool,
}

/// `1 gain`, `2 gains`, `no gains`.
fn counted(count: usize, one: &str, several: &str) -> String {
    match count {
        0 => format!("no {several}"),
        1 => format!("1 {one}"),
        _ => format!("{count} {several}"),
    }
}

/// All of `names`: fields decide what a review is about, and none is left out.
fn joined(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn tone(weight: Weight) -> Tone {
    match weight {
        Weight { clear: true, .. } | Weight { gain: true, loss: true, .. } => Tone::Doubtful,
        Weight { gain: true, .. } => Tone::Good,
        _ => Tone::Bad,
    }
}

fn sign(weight: Weight) -> &'static str {
    match weight {
        Weight { gain: true, loss: true, .. } => "~",
        Weight { gain: true, .. } => "+",
        _ => "-",
    }
}

fn headline(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed(_) => "is allowed now",
        Outcome::Gained(_) => "gets more fields",
        Outcome::Unmasked(_) => "gets fields clear that were masked",
        Outcome::Remasked(_) => "gets fields by another masker",
        Outcome::Loosened(_) => "may get more rows",
        Outcome::Refused(_) => "is refused now",
        Outcome::Lost(_) => "gets fewer fields",
        Outcome::Masked(_) => "gets fields masked that were clear",
        Outcome::Tightened(_) => "may get fewer rows",
    }
}

impl View<'_> {
    fn consequences(&self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let consequences = &self.compared.difference.consequences;
        let most = if self.all { usize::MAX } else { MAX_CHANGES };
        let mut last = None;
        for it in consequences.iter().take(most) {
            let head = (&it.systems, &it.actions, &it.resources);
            if last != Some(head) {
                if last.is_some() {
                    screen.line("")?;
                }
                let actions: Vec<&str> = it.actions.iter().map(|action| action.as_str()).collect();
                let who = screen.paint(Tone::Strong, &self.who(it));
                let resources = self.names(it.resources.iter().map(|id| id.as_str()));
                screen.line(format!("{who}: {} {resources}", actions.join(", ")))?;
            }
            last = Some(head);
            self.consequence(it, screen)?;
        }
        if last.is_some() {
            screen.line("")?;
        }
        let more = consequences.len().saturating_sub(most);
        if more > 0 {
            screen.line(format!("{more} more changes: `--all` shows them.\n"))?;
        }
        Ok(())
    }

    fn who(&self, it: &Consequence) -> String {
        match &it.whom {
            Some(whom) => format!("all {} systems of {whom}", it.systems.len()),
            None => self.names(it.systems.iter().map(|id| id.as_str())),
        }
    }

    fn names<'n>(&self, names: impl ExactSizeIterator<Item = &'n str>) -> String {
        let most = if self.all { usize::MAX } else { MAX_NAMES };
        let more = names.len().saturating_sub(most);
        let mut text = names.take(most).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        text
    }

    fn consequence(&self, it: &Consequence, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let mark = format!("{} {}", sign(it.weight), headline(&it.outcome));
        screen.line(format!("  {}", screen.paint(tone(it.weight), &mark)))?;
        let mut table = Table::default();
        let mut row = |name: &str, cell: Cell| table.row([toned(Tone::Faint, name), cell]);
        self.outcome(it, &mut row);
        let purposes = self.purposes(it);
        row("for", plain(purposes));
        for (index, range) in it.parameters.iter().enumerate() {
            row(if index == 0 { "with" } else { "" }, plain(range.to_string()));
        }
        let most = if self.all { usize::MAX } else { MAX_STRETCHES };
        for (index, stretch) in it.when.iter().take(most).enumerate() {
            row(if index == 0 { "when" } else { "" }, plain(self.stretch(stretch)));
        }
        if it.when.len() > most {
            row("", plain(format!("and {} more times", it.when.len() - most)));
        }
        row("by", plain(self.causes(&it.causes)));
        table.lines(screen, 6).into_iter().try_for_each(|line| screen.line(line))
    }

    fn outcome(&self, it: &Consequence, row: &mut impl FnMut(&str, Cell)) {
        match &it.outcome {
            Outcome::Allowed(fields) | Outcome::Gained(fields) => {
                let tone = it.weight.clear.then_some(Tone::Doubtful);
                self.fields(fields, tone, row);
            }
            Outcome::Refused(fields) | Outcome::Lost(fields) => self.fields(fields, None, row),
            Outcome::Masked(fields) => self.fields(fields, None, row),
            Outcome::Unmasked(fields) => {
                let names = fields.iter().map(|field| match &field.treatment {
                    Treatment::Masked(masker) => format!("{} (was masked by {masker})", field.path),
                    Treatment::Clear => field.path.to_string(),
                });
                row("clear", toned(Tone::Doubtful, joined(names)));
            }
            Outcome::Remasked(fields) => {
                let names = fields.iter().map(|(field, was)| match &field.treatment {
                    Treatment::Masked(is) => format!("{} by {is} (was {was})", field.path),
                    Treatment::Clear => field.path.to_string(),
                });
                row("masked", plain(joined(names)));
            }
            Outcome::Loosened(capped) | Outcome::Tightened(capped) => {
                row("rows", plain(self.capped(capped)));
            }
        }
    }

    fn fields(&self, fields: &[ReleasedField], tone: Option<Tone>, row: &mut impl FnMut(&str, Cell)) {
        let (mut clear, mut masked) = (Vec::new(), Vec::new());
        for field in fields {
            match &field.treatment {
                Treatment::Clear => clear.push(field.path.to_string()),
                Treatment::Masked(masker) => masked.push(format!("{} by {masker}", field.path)),
            }
        }
        if !clear.is_empty() {
            row("clear", (tone, joined(clear)));
        }
        if !masked.is_empty() {
            row("masked", plain(joined(masked)));
        }
        if fields.is_empty() {
            row("what", plain("the whole of it: it has no fields"));
        }
    }

    fn capped(&self, it: &Capped) -> String {
        let bound = |rows: Option<u64>| rows.map_or_else(|| "no bound".to_owned(), |rows| rows.to_string());
        let fields = it.fields.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = if fields.is_empty() { String::new() } else { format!(" with {}", joined(fields)) };
        format!("{} {} → {}{of}", it.duty.as_str(), bound(it.old), bound(it.new))
    }

    fn purposes(&self, it: &Consequence) -> String {
        if it.every_purpose {
            return "every purpose".to_owned();
        }
        let [old, new] = [&self.compared.old, &self.compared.new].map(|it| &it.vocabulary.catalog.purposes);
        let label = |code: &PurposeCode| {
            new.get(code).or_else(|| old.get(code)).map(|purpose| purpose.label.as_str())
        };
        match it.purposes.as_slice() {
            [only] => match label(only) {
                Some(label) if !label.is_empty() => format!("{only} ({label})"),
                _ => only.to_string(),
            },
            several => self.names(several.iter().map(PurposeCode::as_str)),
        }
    }

    fn stretch(&self, stretch: &Stretch) -> String {
        let mut words = Vec::new();
        if let Some(from) = stretch.from {
            words.push(format!("from {}", self.instant(from)));
        }
        if let Some(until) = stretch.until {
            words.push(self.end(until));
        }
        let mut text = words.join(" ");
        if !stretch.within.is_empty() {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&stretch.within.join(", "));
        }
        text
    }

    /// An instant as the local clock shows it, as short as can be.
    fn instant(&self, at: Timestamp) -> String {
        let local = self.zone.to_datetime(at);
        let time = local.time();
        if time == jiff::civil::Time::midnight() {
            local.date().to_string()
        } else if (time.second(), time.subsec_nanosecond()) == (0, 0) {
            local.strftime("%Y-%m-%d %H:%M").to_string()
        } else {
            local.to_string().replace('T', " ")
        }
    }

    fn end(&self, until: Timestamp) -> String {
        let local = self.zone.to_datetime(until);
        match local.date().yesterday() {
            Ok(yesterday) if local.time() == jiff::civil::Time::midnight() => {
                format!("to the end of {yesterday}")
            }
            _ => format!("until {}", self.instant(until)),
        }
    }

    fn causes(&self, causes: &[GrantId]) -> String {
        if causes.is_empty() {
            return "no line of grants.csv: what else was edited is listed above".to_owned();
        }
        let lines = &self.compared.difference.lines;
        let cause = |id: &GrantId| match lines.iter().find(|line| line.id == *id) {
            None => format!("{id}, which is as it was: what bears on it is listed above"),
            Some(line) if line.done == Done::Changed => {
                let columns: Vec<&str> = line.cells.iter().map(|cell| cell.column).collect();
                format!("{id}, whose {} changed", columns.join(" and "))
            }
            Some(line) => format!("{id}, {}", line.done.as_str()),
        };
        causes.iter().map(cause).collect::<Vec<_>>().join("; ")
    }

    fn undetermined(&self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        for it in &self.compared.difference.undetermined {
            let systems = self.names(it.systems.iter().map(|id| id.as_str()));
            let word = screen.paint(Tone::Bad, "undetermined");
            screen.line(format!(
                "{word}: {systems}: {} {}: its lines name too many values and times to compare them all",
                it.action, it.resource
            ))?;
        }
        Ok(())
    }

    fn lines(&self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let lines = &self.compared.difference.lines;
        if lines.is_empty() {
            return Ok(());
        }
        screen.line(screen.paint(Tone::Strong, "grants.csv"))?;
        let most = if self.all { usize::MAX } else { MAX_EDITS };
        let listed: Vec<&LineChange> = lines.iter().filter(|line| line.has_effect || self.all).collect();
        let mut table = Table::default();
        for line in listed.iter().take(most) {
            line_rows(line, &mut table);
        }
        table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
        if listed.len() > most {
            screen.line(format!("  {} more: `--all` shows them", listed.len() - most))?;
        }
        let idle = lines.iter().filter(|line| !line.has_effect).count();
        match idle {
            0 => screen.line(""),
            _ if self.all => screen
                .line(format!("  {} edited without changing any decision\n", counted(idle, "line", "lines"))),
            _ => screen.line(format!(
                "  {} edited without changing any decision: `--all` shows them\n",
                counted(idle, "line", "lines")
            )),
        }
    }

    fn words(&self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let words = &self.compared.difference.words;
        if words.is_empty() {
            return Ok(());
        }
        screen.line(screen.paint(Tone::Strong, "beside the grants"))?;
        let most = if self.all { usize::MAX } else { MAX_EDITS };
        let mut table = Table::default();
        for word in words.iter().take(most) {
            table.row(word_row(word));
        }
        table.lines(screen, 2).into_iter().try_for_each(|line| screen.line(line))?;
        if words.len() > most {
            screen.line(format!("  {} more: `--all` shows them", words.len() - most))?;
        }
        screen.line("")
    }

    fn summary(&self, screen: &mut Screen<'_>) -> Result<(), CommandError> {
        let difference = &self.compared.difference;
        let args = self.compared.args;
        let count = |is: fn(&Weight) -> bool| {
            let consequences = difference.consequences.iter().map(|it| &it.weight);
            consequences
                .chain(difference.words.iter().map(|it| &it.weight))
                .filter(|weight| is(weight))
                .count()
        };
        let (gains, losses, clear) = (count(|it| it.gain), count(|it| it.loss), count(|it| it.clear));
        let mut parts = vec![
            screen.paint(if gains > 0 { Tone::Good } else { Tone::Faint }, &counted(gains, "gain", "gains")),
            screen
                .paint(if losses > 0 { Tone::Bad } else { Tone::Faint }, &counted(losses, "loss", "losses")),
        ];
        if clear > 0 {
            parts.push(screen.paint(Tone::Doubtful, &format!("{clear} with fields in the clear")));
        }
        let open = difference.undetermined.len();
        if open > 0 {
            parts.push(screen.paint(Tone::Bad, &format!("{open} undetermined")));
        }
        let nothing = difference.consequences.is_empty() && open == 0;
        let same = if nothing { ": every request is decided alike" } else { "" };
        screen.line(format!("{} → {}{same}: {}", shown(&args.old), shown(&args.new), parts.join(", ")))
    }
}

/// A row for each cell of a line that was changed; one for a line that is new or gone.
fn line_rows(line: &LineChange, table: &mut Table) {
    let (sign, tone) = match line.done {
        Done::Added => ("+", Tone::Good),
        Done::Removed => ("-", Tone::Bad),
        Done::Changed | Done::Moved => ("~", Tone::Doubtful),
    };
    let place = match (line.old_line, line.new_line) {
        (_, Some(number)) => format!("line {number}"),
        (Some(number), None) => format!("was line {number}"),
        (None, None) => String::new(),
    };
    let head = [toned(tone, sign), toned(Tone::Strong, line.id.as_str()), toned(Tone::Faint, place)];
    match line.done {
        Done::Changed => {
            let mut head = Some(head);
            for cell in &line.cells {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let [a, b, c] = head.take().unwrap_or_else(|| [plain(""), plain(""), plain("")]);
                let change = format!("{} → {}", text(&cell.old), text(&cell.new));
                table.row([a, b, c, plain(cell.column), plain(change)]);
            }
        }
        Done::Added | Done::Removed => {
            let [a, b, c] = head;
            let texts = line.cells.iter().filter_map(|cell| cell.new.as_ref().or(cell.old.as_ref()));
            let mut text = texts.cloned().collect::<Vec<_>>().join(", ");
            if let Some(other) = &line.renamed {
                text.push_str(&format!(
                    " (the same as {other}: tokens and limits that name the id follow it)"
                ));
            }
            table.row([a, b, c, plain(line.done.as_str()), plain(text)]);
        }
        Done::Moved => {
            let [a, b, c] = head;
            let from = line.old_line.map_or_else(String::new, |number| format!("from line {number}"));
            table.row([a, b, c, plain("moved"), plain(from)]);
        }
    }
}

fn word_row(word: &WordChange) -> [Cell; 4] {
    let text = match (&word.old, &word.new) {
        (Some(old), Some(new)) => format!("{old} → {new}"),
        (Some(only), None) | (None, Some(only)) => only.clone(),
        (None, None) => String::new(),
    };
    let kind = match word.weight {
        Weight { gain: false, loss: false, clear: false } => plain(word.kind),
        weight => toned(tone(weight), word.kind),
    };
    [toned(Tone::Faint, word.file), kind, plain(word.what.as_str()), plain(text)]
}
