package notifier

// ForgetBackends makes Backends try all of them again.
func ForgetBackends() { working.Clear() }
