//go:build race

package adapters_test

const raced = true // the race detector makes attacks slow
