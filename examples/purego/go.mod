module github.com/wakechan/wakechan/examples/purego

go 1.25.0

require github.com/wakechan/wakechan v0.0.0

require (
	github.com/ebitengine/purego v0.11.3
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/wakechan/wakechan => ../..
