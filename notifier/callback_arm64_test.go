package notifier

// landingPad is BTI c.
var landingPad = [4]byte{0x5f, 0x24, 0x03, 0xd5}
