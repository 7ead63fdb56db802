package redislogin_test

import (
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
)

func Example() {
	var config core.Config // of every replica

	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	options.ContextTimeoutEnabled = true // a request that is canceled does not wait for Redis
	shared := redislogin.New(redis.NewClient(options))
	shared.MaxStale = 2 * time.Second
	config.Logout.Revocations, config.Tokens.Refreshes = shared, shared
}
