# Reads the output of "go test", best with -v, and says, in less than 1,500 characters, which tests failed or were running when it
# ended, and what they said; of a timeout or crash, where the running tests stood. For .ci/tally, with -v name=PLATFORM.

# Not these: the subtests of a test that has failed or is running say it more exactly.
function deepest(list, test,    other) {
  for (other in list) if (index(other, test "/") == 1) return 0
  return 1
}

function names(list,    test, all) {
  for (test in list) if (deepest(list, test)) all = all (all == "" ? "" : ", ") test
  return all
}

function say(text) { if (text !~ /^[ \n]*$/) detail = detail text "\n" }

# A package is over, or all of them are.
function flush_package(package,    test, bad, alive) {
  bad = names(failed)
  alive = names(running)
  if (bad != "") heads = heads "FAILED: " bad (package ? " in " package : "") "\n"
  if (alive != "") heads = heads "running when it ended: " alive (package ? " in " package : "") "\n"
  if (bad == "" && alive == "") heads = heads "FAILED outside of any test: " package "\n"
  if (bad == "" && alive == "") say(substr(whole, length(whole) > 1200 ? length(whole) - 1200 : 1))
  for (test in failed) if (deepest(failed, test)) say(substr(said[test], 1, stacks == "" ? 1200 : 500))
  if (stacks != "") say(ending stacks)
  else if (ending != "") say(ending)
  forget()
}

function forget() {
  delete failed; delete running; delete said
  stacks = ending = whole = block = current = ""
  dump = 0
}

# A goroutine that runs a test, and does not only wait for its subtest.
function flush_block() {
  if (block ~ /testing\.tRunner\(/ && block !~ /testing\.\(\*T\)\.Run\(/) stacks = stacks block
  block = ""
}

BEGIN { forget() }
{ sub(/\r$/, "") }
/^=== (RUN|CONT) / { current = $3; running[$3] = 1; next }
/^=== PAUSE / { delete running[$3]; next }
/^=== NAME / { current = $3; next }
/^ *--- (PASS|SKIP): / { delete running[$3]; delete said[$3]; next }
/^ *--- FAIL: / { delete running[$3]; failed[$3] = 1; current = $3; next } # without -v what it says comes now
/^\trunning tests:$/ { listed = 1; next }
listed && /^\t\tTest/ { running[$1] = 1; next }
{ listed = 0 }
/^(FAIL|ok  )\t/ {
  flush_block()
  if ($1 == "FAIL") flush_package($2); else forget()
  next
}
/^(panic: |fatal error: |SIG[A-Z]+: |unexpected fault address )/ {
  if (!dump) ending = ending $0 "\n"
  dump = 1
}
/^goroutine [0-9]+ .*\[/ { flush_block(); dump = 1 }
dump && /^$/ { flush_block(); next }
dump && /^\t.* \+0x[0-9a-f]+/ { # a file's line: without its folders
  sub(/ \+0x.*/, ""); sub(/^\t.*\//, "\t")
}
dump { if (block != "" || /^goroutine /) block = block $0 "\n"; next }
/^(PASS|FAIL|exit status .*)$/ || /^=== / { next }
{
  whole = whole $0 "\n"
  if (length(whole) > 4000) whole = substr(whole, length(whole) - 2000)
  if (current != "" && length(said[current]) < 1200 && $0 !~ /^ *$/) { gsub(/[ \t]+/, " "); said[current] = said[current] $0 "\n" }
}
END {
  flush_block()
  for (test in running) { flush_package(""); break }
  for (test in failed) { flush_package(""); break }
  if (heads == "" && whole != "") { heads = "FAILED outside of any test\n"; say(substr(whole, length(whole) > 1200 ? length(whole) - 1200 : 1)) }
  if (heads == "") heads = "no test failed, or none was run\n"
  head = substr("--- what failed in " name ":\n" heads, 1, 700)
  printf "%s", head
  print substr(detail, 1, 1450 - length(head))
}
