//go:build race

package core_test

// The race detector bears no more than 8128 goroutines, and makes them slow.
const crowds = 10 // what the size of a crowd is divided by
