package preset

// AppleAt is Apple with the test's clock.
var AppleAt = appleAt
