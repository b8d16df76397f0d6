// Coverage runs the tests of the root module and fails if they reach fewer than 90 of
// 100 statements on this system, and on Linux if a block of statements that they did
// not reach is not listed in CONTRIBUTING.md, or one is listed that there is not.
//
//	go run ./verify/coverage            the figure, by package
//	go run ./verify/coverage -lines     and the blocks that were not reached, as the list has them
//
// What counts is what programs import or run: package notifier, chanadapter, cmd and
// the internal packages that they use, also when processes that the tests start reach
// it. What is left out (examples, verify, bench,
// internal/foreign, internal/testenv, internal/golden, internal/uring, the programs
// of chanadapter/e2e, ringforeign, cabi) does not count, and is printed if it ran. CONTRIBUTING.md says why the
// blocks that are left are.
//
// This file holds the figure; list.go has what it and the list have in common.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const module = "github.com/wakechan/wakechan/"

const enough = 90

// forTests are the directories that do not count.
var forTests = []string{
	"examples/", "verify/", "bench/", "chanadapter/e2e/",
	"internal/foreign/", "internal/testenv/", "internal/golden/", "internal/uring/", "chanadapter/internal/ringforeign/", "notifier/internal/cabi/",
}

func main() {
	lines := flag.Bool("lines", false, "print the blocks that were not reached")
	flag.Parse()
	code, err := run(*lines)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(lines bool) (code int, err error) {
	work, err := os.MkdirTemp("", "coverage")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(work)
	data := filepath.Join(work, "data")
	if err := os.Mkdir(data, 0o777); err != nil {
		return 1, err
	}
	var list []string
	// The list is that of Linux, and of a build with C: other systems reach other things.
	if runtime.GOOS == "linux" {
		text, err := os.ReadFile("CONTRIBUTING.md")
		if err != nil {
			return 1, err
		}
		list = listed(string(text))
	}
	blocks, err := measure(data)
	// What depends on the moment may be missed once: it adds up.
	for again := 0; err == nil && list != nil && again < 2 && len(unlisted(blocks, list)) > 0; again++ {
		fmt.Println("not reached, once more:\n" + strings.Join(unlisted(blocks, list), "\n"))
		blocks, err = measure(data)
	}
	if err != nil {
		return 1, err
	}
	code = report(blocks, lines)
	if list != nil {
		code = max(code, compare(blocks, list))
	}
	return code, nil
}

// measure runs the tests and returns what they and those before have reached, whose
// counts are in data.
func measure(data string) (map[string]*block, error) {
	// The test binaries leave their counts in a directory, as those that they run
	// again do (internal/testenv), so that it all adds up.
	// One of them is left without a descriptor to write them to.
	test := exec.Command("go", "test", "-short", "-count=1", "-skip=^TestPollersUntilThereAreNoDescriptors$",
		"-cover", "-coverpkg="+module+"...", "./notifier/...", "./chanadapter/...", "./cmd/...", "./internal/...",
		"-args", "-test.gocoverdir="+data)
	test.Env = append(os.Environ(), "WAKECHAN_COVERDIR="+data)
	if out, err := test.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	profile := data + ".txt"
	if out, err := exec.Command("go", "tool", "covdata", "textfmt", "-i="+data, "-o="+profile).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		return nil, err
	}
	blocks, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	return blocks, name(".", blocks)
}

// block is some statements without a branch between them.
type block struct {
	file               string
	line, column, last int
	statements         int
	reached            bool
	entry              string // how it is listed: see name
}

var profileLine = regexp.MustCompile(`^` + regexp.QuoteMeta(module) + `(\S+\.go):(\d+)\.(\d+),(\d+)\.\d+ (\d+) (\d+)$`)

// parse adds up a profile: a block may be in it more than once.
func parse(profile string) (map[string]*block, error) {
	blocks := map[string]*block{}
	for scan := bufio.NewScanner(strings.NewReader(profile)); scan.Scan(); {
		line := scan.Text()
		if strings.HasPrefix(line, "mode: ") {
			continue
		}
		m := profileLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("no line of a profile: %q", line)
		}
		key := strings.Join(strings.Split(line, " ")[:2], " ")
		b := blocks[key]
		if b == nil {
			b = &block{file: m[1]}
			_, _ = fmt.Sscan(strings.Join(m[2:6], " "), &b.line, &b.column, &b.last, &b.statements)
			blocks[key] = b
		}
		b.reached = b.reached || m[6] != "0"
	}
	return blocks, nil
}

func counts(file string) bool {
	for _, dir := range forTests {
		if strings.HasPrefix(file, dir) {
			return false
		}
	}
	return true
}

func report(blocks map[string]*block, lines bool) (code int) {
	type sum struct{ reached, all int }
	packages := map[string]sum{}
	var total, rest sum
	for _, b := range blocks {
		reached := 0
		if b.reached {
			reached = b.statements
		}
		dir := filepath.ToSlash(filepath.Dir(b.file))
		packages[dir] = sum{packages[dir].reached + reached, packages[dir].all + b.statements}
		if counts(b.file) {
			total = sum{total.reached + reached, total.all + b.statements}
		} else {
			rest = sum{rest.reached + reached, rest.all + b.statements}
		}
	}
	percent := func(s sum) float64 { return 100 * float64(s.reached) / float64(max(s.all, 1)) }
	var dirs []string
	for dir := range packages {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		note := ""
		if !counts(dir + "/") {
			note = "  (does not count)"
		}
		fmt.Printf("%5.1f %%  %4d of %4d  %s%s\n", percent(packages[dir]), packages[dir].reached, packages[dir].all, dir, note)
	}
	if lines {
		fmt.Println("not reached:")
		for _, b := range inOrder(blocks) {
			if !b.reached && counts(b.file) {
				fmt.Println(b.entry)
			}
		}
	}
	fmt.Printf("coverage: %.1f %% of %d statements; what does not count %.1f %% of %d, both %.1f %%\n",
		percent(total), total.all, percent(rest), rest.all, percent(sum{total.reached + rest.reached, total.all + rest.all}))
	if percent(total) < enough {
		fmt.Printf("that is less than %d %%\n", enough)
		return 1
	}
	return 0
}
