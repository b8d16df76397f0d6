package notifier

// landingPad is ENDBR64.
var landingPad = [4]byte{0xf3, 0x0f, 0x1e, 0xfa}
