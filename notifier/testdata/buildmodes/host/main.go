// Host loads the plugin that is its argument, and calls its Check.
package main

import (
	"log"
	"os"
	"plugin"
)

func main() {
	p, err := plugin.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	check, err := p.Lookup("Check")
	if err != nil {
		log.Fatal(err)
	}
	if code := check.(func() int)(); code != 0 {
		log.Fatal("Check: ", code)
	}
}
