package chanadapter

// This file holds a number that package unix lacks for NetBSD.

// evDispatch is EV_DISPATCH of sys/event.h, since NetBSD 10.
const evDispatch = 0x80
