// Package pcap watches the descriptor of libpcap, which captures packets of the loopback
// interface. It needs the build tag e2e, cgo, libpcap (Debian: libpcap-dev), and the
// right to capture: CAP_NET_RAW.
package pcap
