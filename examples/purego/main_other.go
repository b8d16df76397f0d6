//go:build !linux && !darwin

package main

import "fmt"

func main() { fmt.Println("this example loads libraries of Linux and macOS") }
