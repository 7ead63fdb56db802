//go:build !race

package adapters_test

const raced = false
