//go:build !race

package hostile

// Slack is the factor by which a measured cost may exceed its limit.
const Slack = 1
