package devcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
)

// startRedis starts a private Redis on a socket, which writes nothing to disk.
// It returns the URL when Redis answers.
func startRedis(ctx context.Context) (url string, stop func(), err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, errors.New("redis-server is not installed and REDIS_URL is not set: install it (apt install redis-server, brew install redis), or set REDIS_URL to your own Redis, such as redis://127.0.0.1:6379/0")
	}
	dir, err := os.MkdirTemp("", "pixy")
	if err != nil {
		return "", nil, err
	}
	socket := filepath.Join(dir, "redis.sock")
	command := exec.Command(program, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no")
	if err := command.Start(); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	stop = func() {
		_ = command.Process.Kill()
		<-ended
		_ = os.RemoveAll(dir)
	}
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer func() { _ = client.Close() }()
	for giveUp := time.After(10 * time.Second); client.Ping(ctx).Err() != nil; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ended:
			return "", nil, errors.Join(fmt.Errorf("%s did not start", program), os.RemoveAll(dir))
		case <-ctx.Done():
			stop()
			return "", nil, ctx.Err()
		case <-giveUp:
			stop()
			return "", nil, fmt.Errorf("%s did not answer within 10 seconds", program)
		}
	}
	return "unix://" + socket, stop, nil
}
