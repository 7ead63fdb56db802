// Package stores_test tests the library with stores that keep sessions on real
// servers. .ci/stores/run starts the servers.
package stores_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/boj/redistore"
	"github.com/gorilla/sessions"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	goredis "github.com/redis/go-redis/v9"
	"github.com/wader/gormstore/v2"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// A backend is a store for sessions, and its server.
type backend struct {
	// store returns the application's store, and a function that closes it.
	store func(t *testing.T) (sessions.Store, func())

	// records returns the server's records by id. Nil: the browser keeps the sessions.
	records func(t *testing.T) map[string][]byte

	// proxy is between the store and its server. Nil: there is none.
	proxy *proxy

	read []string // the operations by which a guarded request reads a session

	// unlimited removes the store's limit on the size of a session. Nil: the limit is
	// fixed.
	unlimited func(sessions.Store)

	// silent is set for a store that reports no error when its server is down.
	silent bool

	// racy is set for a store that is not safe for concurrent use.
	racy bool
}

// backends are the tested stores. Each call returns a new one.
var backends = map[string]func(t *testing.T) *backend{
	"gorilla's cookies": func(*testing.T) *backend {
		return &backend{store: func(*testing.T) (sessions.Store, func()) {
			return sessions.NewCookieStore(storeKey), func() {}
		}}
	},
	"gorilla's files": filesBackend,
	"redistore, gob": func(t *testing.T) *backend {
		return redisBackend(t, redistore.GobSerializer{})
	},
	"redistore, JSON": func(t *testing.T) *backend {
		return redisBackend(t, redistore.JSONSerializer{})
	},
	"gormstore, PostgreSQL": postgresBackend,
}

var storeKey = []byte("the key of gorilla's securecookie")

// environment returns the address of a server from .ci/stores/run. Without it, the test
// fails.
func environment(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; .ci/stores/run starts the servers and sets it", name)
	}
	return value
}

func filesBackend(t *testing.T) *backend {
	dir := t.TempDir()
	return &backend{
		store: func(*testing.T) (sessions.Store, func()) {
			return sessions.NewFilesystemStore(dir, storeKey), func() {}
		},
		unlimited: func(s sessions.Store) { s.(*sessions.FilesystemStore).MaxLength(0) },
		records: func(t *testing.T) map[string][]byte {
			records := make(map[string][]byte)
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			for _, file := range files {
				content, readErr := os.ReadFile(file)
				if err = readErr; err != nil {
					break
				}
				records[filepath.Base(file)] = content
			}
			if err != nil {
				t.Fatal(err)
			}
			return records
		},
	}
}

// The numbers of Redis databases and PostgreSQL tables in use. Tests that need no database
// of their own share the first one.
var databases, tables atomic.Int32

func redisBackend(t *testing.T, serializer redistore.SessionSerializer) *backend {
	options, err := goredis.ParseURL(environment(t, "REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	database := int(databases.Add(1))
	options.DB = database
	client := goredis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	if size, err := client.DBSize(t.Context()).Result(); err != nil || size != 0 {
		t.Fatalf("database %d is not ours: %d keys, %v", database, size, err)
	}
	between := redisProxy(t)
	return &backend{
		proxy:     between,
		read:      []string{"GET"},
		unlimited: func(s sessions.Store) { s.(*redistore.RediStore).SetMaxLength(0) },
		store: func(t *testing.T) (sessions.Store, func()) {
			store, err := redistore.NewRediStoreWithDB(10, "unix", between.path, "", "", fmt.Sprint(database), storeKey)
			if err != nil {
				t.Fatal(err)
			}
			store.SetSerializer(serializer)
			return store, func() { store.Close() }
		},
		records: func(t *testing.T) map[string][]byte {
			records := make(map[string][]byte)
			names, err := client.Keys(t.Context(), "*").Result()
			for _, name := range names {
				if err == nil {
					records[name], err = client.Get(t.Context(), name).Bytes()
				}
			}
			if size := client.DBSize(t.Context()).Val(); err != nil || size != int64(len(records)) {
				t.Fatalf("%d records, DBSIZE %d: %v", len(records), size, err)
			}
			return records
		},
	}
}

func redisProxy(t *testing.T) *proxy {
	t.Helper()
	options, err := goredis.ParseURL(environment(t, "REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	return newProxy(t, "redis.sock", func() (net.Conn, error) { return net.Dial(options.Network, options.Addr) }, newRedisParser)
}

func postgresBackend(t *testing.T) *backend {
	address := environment(t, "DATABASE_URL")
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	network, host := pgconn.NetworkAddress(config.Host, config.Port)
	// The name is that by which PostgreSQL's clients look for a socket.
	between := newProxy(t, fmt.Sprintf(".s.PGSQL.%d", config.Port), func() (net.Conn, error) {
		return net.Dial(network, host)
	}, newPostgresParser)
	table := fmt.Sprintf("sessions_%d_%d", os.Getpid(), tables.Add(1))
	return &backend{
		proxy:     between,
		read:      []string{"SELECT"},
		silent:    true,
		racy:      true, // v2.0.3: each New sets the age of codecs that all share
		unlimited: func(s sessions.Store) { s.(*gormstore.Store).MaxLength(0) },
		store: func(t *testing.T) (sessions.Store, func()) {
			through := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable",
				filepath.Dir(between.path), config.Port, config.User, config.Database)
			db, err := gorm.Open(postgres.Open(through), &gorm.Config{Logger: logger.Discard})
			if err != nil {
				t.Fatal(err)
			}
			pool, err := db.DB()
			if err != nil {
				t.Fatal(err)
			}
			return gormstore.NewOptions(db, gormstore.Options{TableName: table}, storeKey), func() { pool.Close() }
		},
		records: func(t *testing.T) map[string][]byte { return rows(t, address, table) },
	}
}

// rows returns the rows of a PostgreSQL table.
func rows(t *testing.T, address, table string) map[string][]byte {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	found, err := conn.Query(ctx, "SELECT id, data FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[string][]byte)
	var id, data string
	_, err = pgx.ForEachRow(found, []any{&id, &data}, func() error {
		records[id] = []byte(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}
