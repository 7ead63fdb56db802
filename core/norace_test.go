//go:build !race

package core_test

const crowds = 1 // what the size of a crowd is divided by
