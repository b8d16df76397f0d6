// Package ending lets package ring hear that a notifier's poller ends, so that a
// ring refuses records from then on.
package ending

// Before is set by package notifier. It has f called when the poller of the
// *notifier.Notifier n ends, by Close or by a fault: before n's Done is closed, once,
// and at once if the poller has ended already. f must not call n. After forget has
// returned f is not called any more, unless that is under way. A notifier without a
// poller, which has no handle yet, is not watched.
var Before func(n any, f func()) (forget func())
