//! Tables that fit 80 columns: one column gives way.

use super::output::clean;

/// The width tables fit in.
const WIDTH: usize = 80;

/// A table for people. Every cell is made harmless for a terminal.
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// The column that is cut if the rest needs the space.
    gives_way: usize,
}

impl Table {
    /// With these heads; column `gives_way` is cut.
    pub(crate) fn new(heads: &[&'static str], gives_way: usize) -> Self {
        Self {
            heads: heads.to_vec(),
            rows: Vec::new(),
            gives_way,
        }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.iter().map(|cell| clean(cell)).collect());
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As text, a line feed at its end.
    pub(crate) fn text(&self) -> String {
        let mut widths: Vec<usize> = self.heads.iter().map(|head| width(head)).collect();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                if let Some(wide) = widths.get_mut(column) {
                    *wide = (*wide).max(width(cell));
                }
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        let others: usize = widths
            .iter()
            .enumerate()
            .filter(|(column, _)| *column != self.gives_way)
            .map(|(_, wide)| wide)
            .sum();
        if let Some(wide) = widths.get_mut(self.gives_way) {
            *wide = (*wide).min(WIDTH.saturating_sub(others + gaps).max(12));
        }
        let mut text = String::new();
        let heads: Vec<String> = self.heads.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let wide = widths.get(column).copied().unwrap_or_default();
                let cell = cut(cell, wide);
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', (wide + 2).saturating_sub(width(&cell))));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Columns a text takes; wide characters of East Asian scripts and emoji take two.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff => 2,
        _ => 1,
    }
}

fn cut(text: &str, wide: usize) -> String {
    if width(text) <= wide {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        if used + columns(c) + 1 > wide {
            break;
        }
        used += columns(c);
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_column_gives_way() {
        let mut table = Table::new(&["id", "subject", "size"], 1);
        table.row(&["abc".into(), "x".repeat(200), "1 kB".into()]);
        table.row(&["abc".into(), "日本".repeat(60), "1 kB".into()]);
        for line in table.text().lines() {
            assert!(width(line) <= 80, "{line}");
            assert!(line.starts_with("id") || line.ends_with("1 kB"), "{line}");
        }
    }
}
