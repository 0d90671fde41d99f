package main

import "io"

func command(args []string, stdout, stderr io.Writer) int { return 2 }
