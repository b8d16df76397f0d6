// Command notifierh writes notifier.h, the foreign half of package notifier,
// where a C build can find it.
//
//	go run github.com/wakechan/wakechan/cmd/notifierh -o DIR
//
// It prints the path of the file that it wrote. Without -o it prints the header
// itself. The text is the one that is compiled into the notifier package of the
// same version, so a program's two halves cannot drift apart.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/wakechan/wakechan/notifier"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0, 1 if the header could not be written, 2 for
// arguments that make no sense.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("notifierh", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: notifierh [-o DIR]\nWrites notifier.h into DIR, which is made if need be, and prints its path; without -o prints the header.\n")
		flags.PrintDefaults()
	}
	dir := flags.String("o", "", "write the header into this `directory`")
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
		_, err := io.WriteString(stdout, notifier.Header)
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	path := filepath.Join(dir, "notifier.h")
	// An unchanged file keeps its time, so that make(1) builds nothing anew.
	if old, err := os.ReadFile(path); err != nil || string(old) != notifier.Header {
		if err := os.WriteFile(path, []byte(notifier.Header), 0o666); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(stdout, path)
	return err
}
