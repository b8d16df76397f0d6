package wakechan_test

// This file holds the numbers of README.md and docs/performance.md to those that were
// measured: each stands in bench/REPORT.md, at the place that a comment behind it
// names: <!--report:TABLE>ROW>COLUMN-->, with _ for each space. After a new report,
// -update writes its numbers into the documents.

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the report's numbers into the documents")

// reportTables returns the report's tables by heading: rows of cells, the first row
// being the header.
func reportTables(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("bench", "REPORT.md"))
	require.NoError(t, err)
	all := map[string][][]string{}
	title := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			title = line[3:]
		case strings.HasPrefix(line, "|--"):
		case strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "_", " "))
			}
			all[title] = append(all[title], cells)
		}
	}
	return all
}

// cell returns what the report has in a table, whose heading begins with table, in the
// one row that begins with the cells of row (separated by "; "), under a heading.
// Quartiles, which stand in brackets, are left out.
func cell(tables map[string][][]string, table, row, column string) (value, problem string) {
	var rows [][]string
	for title := range tables {
		if strings.HasPrefix(title, table) {
			if rows != nil {
				return "", "two tables begin with " + table
			}
			rows = tables[title]
		}
	}
	if rows == nil {
		return "", "no table begins with " + table
	}
	at := slices.Index(rows[0], column)
	if at < 0 {
		return "", "table " + table + " has no column " + column
	}
	want := strings.Split(row, "; ")
	for _, cells := range rows[1:] {
		if len(cells) >= len(want) && slices.Equal(cells[:len(want)], want) {
			if value != "" {
				return "", "table " + table + " has two rows " + row
			}
			value, _, _ = strings.Cut(cells[at], " (")
		}
	}
	if value == "" {
		return "", "table " + table + " has no row " + row
	}
	return value, ""
}

var (
	measured = regexp.MustCompile(`([\d.,]+(?:%| (?:x|ns|µs|ms|s|bytes))?)<!--report:([^>]+)>([^>]+)>([^>]+)-->`)
	claim    = regexp.MustCompile(`(?:\b\d[\d.,]* ?(?:x|ns|µs|ms|%)|\b1/\d+)(?:[^\w<]|<[^!]|$)`)
	code     = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]+`")
)

// TestNumbers looks at both: that each number with a comment is the report's, and that
// no number that reads like a measurement lacks one. What is not measured but set or
// cited has a comment that says so: <!--not measured: why-->.
func TestNumbers(t *testing.T) {
	tables := reportTables(t)
	for _, document := range []string{"README.md", filepath.Join("docs", "performance.md")} {
		bytes, err := os.ReadFile(document)
		require.NoError(t, err)
		text := string(bytes)
		assert.NotEmpty(t, measured.FindString(text), "%s names nothing of the report", document)
		now := measured.ReplaceAllStringFunc(text, func(found string) string {
			m := measured.FindStringSubmatch(found)
			for i := 2; i <= 4; i++ {
				m[i] = strings.ReplaceAll(m[i], "_", " ")
			}
			value, problem := cell(tables, m[2], m[3], m[4])
			if !assert.Empty(t, problem, document) || value == m[1] {
				return found
			}
			if !*update {
				assert.Equal(t, value, m[1], "%s: %s", document, found)
			}
			return value + strings.TrimPrefix(found, m[1])
		})
		if *update && now != text {
			require.NoError(t, os.WriteFile(document, []byte(now), 0o666))
		}
		for _, found := range claim.FindAllString(code.ReplaceAllString(now, ""), -1) {
			assert.Fail(t, "a number without a source", "%s: %q is neither the report's nor said to be not measured", document, found)
		}
	}
}

func TestCell(t *testing.T) {
	tables := map[string][][]string{
		"Calls, quick": {{"n", "way", "time"}, {"1", "a", "2 ns (1 ns to 3 ns)"}, {"2", "a", "4 ns"}},
		"Cold":         {{"way", "p50"}, {"a", "1 µs"}, {"a", "2 µs"}},
	}
	for _, c := range []struct{ table, row, column, want, problem string }{
		{"Calls", "1; a", "time", "2 ns", ""},
		{"Calls", "2; a", "time", "4 ns", ""},
		{"Calls", "3; a", "time", "", "table Calls has no row 3; a"},
		{"Calls", "1; a", "times", "", "table Calls has no column times"},
		{"Cold", "a", "p50", "", "table Cold has two rows a"},
		{"C", "a", "p50", "", "two tables begin with C"},
		{"X", "a", "p50", "", "no table begins with X"},
	} {
		value, problem := cell(tables, c.table, c.row, c.column)
		assert.Equal(t, c.want, value, c)
		assert.Equal(t, c.problem, problem, c)
	}
	for text, want := range map[string]bool{"7 ns.": true, "7 ns": true, "0.5 x,": true, "10 % of": true, "1/8 of": true, "in 7.5 µs)": true,
		"7 ns<!--not measured: set-->": false, "7 ns<br>": true, "20 ticks": false, "arm64": false, "2026": false} {
		assert.Equal(t, want, claim.MatchString(text), text)
	}
}
