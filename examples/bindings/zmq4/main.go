// Zmq4 selects on sockets of github.com/pebbe/zmq4, which stays as it is: it gives the
// descriptor (GetFd) and the state (GetEvents) of a socket.
//
//	go run -C examples/bindings ./zmq4
//
// A DEALER keeps four requests at work. Each call on the socket, a send too, may take
// what its descriptor announces. So the state is looked at after each.
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/wakechan/wakechan/chanadapter"
)

const (
	requests = 20_000
	inFlight = 4
)

func main() {
	go echo()
	socket, err := zmq4.NewSocket(zmq4.DEALER)
	check(err)
	check(socket.Connect("inproc://echo"))
	fd, err := socket.GetFd()
	check(err)
	w, err := chanadapter.Watch(uintptr(fd))
	check(err)

	sent, received := 0, 0
	// step does all that can be done without waiting. It ends only when the state says
	// that there is nothing to receive, after the last call on the socket.
	step := func() {
		for {
			state, err := socket.GetEvents()
			check(err)
			switch {
			case state&zmq4.POLLIN != 0:
				_, err = socket.RecvBytes(zmq4.DONTWAIT)
				received++
			case sent < requests && sent-received < inFlight && state&zmq4.POLLOUT != 0:
				_, err = socket.Send("request", zmq4.DONTWAIT)
				sent++
			default:
				return
			}
			check(err)
		}
	}
	for step(); received < requests; step() {
		select {
		case <-w.C():
		case <-time.After(time.Minute):
			log.Fatalf("stuck after %d of %d", received, requests)
		}
	}
	check(w.Close()) // before the socket
	check(socket.Close())
	fmt.Println(received, "replies to", sent, "requests")
}

// echo answers, on a socket of its own.
func echo() {
	socket, err := zmq4.NewSocket(zmq4.ROUTER)
	check(err)
	check(socket.Bind("inproc://echo"))
	for {
		message, err := socket.RecvMessageBytes(0)
		check(err)
		_, err = socket.SendMessage(message)
		check(err)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
