package preset

// AppleAt is Apple with a clock of the test's.
var AppleAt = appleAt
