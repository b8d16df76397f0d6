module github.com/wakechan/wakechan/examples/bindings

go 1.25.0

require (
	github.com/pebbe/zmq4 v1.4.0
	github.com/veandco/go-sdl2 v0.4.39
	github.com/wakechan/wakechan v0.0.0
)

require golang.org/x/sys v0.47.0 // indirect

replace github.com/wakechan/wakechan => ../..
