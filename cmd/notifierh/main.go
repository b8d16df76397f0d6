// Command notifierh writes notifier.h, the foreign half of package notifier, and
// ring.h, that of ring.Ring, where a C build can find them.
//
//	go get -tool github.com/wakechan/wakechan/cmd/notifierh
//	go tool notifierh -o .
//
// Run it in the folder of the package that includes the headers: the go command does
// not see that a header in another folder has changed, and would use an old build.
// After an update of the module run it again; as a directive:
//
//	//go:generate go tool notifierh -o .
//
// It prints the paths of the files that it wrote. A file that is right already keeps
// its time. Without -o it prints notifier.h itself. The texts are those that are
// compiled into the packages of the same version, so a program's two halves agree.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/wakechan/wakechan/notifier"
	"github.com/wakechan/wakechan/ring"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0, 1 if a header could not be written, 2 for
// arguments that make no sense.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("notifierh", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: notifierh [-o DIR]\nWrites notifier.h and ring.h into DIR, which is made if need be, and prints their paths; without -o prints notifier.h.\n")
		flags.PrintDefaults()
	}
	dir := flags.String("o", "", "write the headers into this `directory`")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "notifierh: unexpected argument %q\n", flags.Arg(0))
		flags.Usage()
		return 2
	}
	if err := write(*dir, stdout); err != nil {
		fmt.Fprintln(stderr, "notifierh:", err)
		return 1
	}
	return 0
}

func write(dir string, stdout io.Writer) error {
	if dir == "" {
		_, err := io.WriteString(stdout, notifier.Header())
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, header := range []struct{ name, text string }{{"notifier.h", notifier.Header()}, {"ring.h", ring.Header()}} {
		path := filepath.Join(dir, header.name)
		// An unchanged file keeps its time, so that make(1) builds nothing anew.
		if old, err := os.ReadFile(path); err != nil || string(old) != header.text {
			if err := os.WriteFile(path, []byte(header.text), 0o666); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(stdout, path); err != nil {
			return err
		}
	}
	return nil
}
