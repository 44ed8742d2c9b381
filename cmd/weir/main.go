// Weir is an LLM gateway: a drop-in base URL in front of every model, with a
// ledger of what each call was for and what it used.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
