package load

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
)

// dial opens the connections of a run. They connect in the background: calls wait for
// the first attempt, and fail if it does.
func dial(cfg Config, handler stats.Handler) ([]*grpc.ClientConn, error) {
	options := dialOptions(cfg, handler)
	connections := make([]*grpc.ClientConn, 0, cfg.Connections)
	for range cfg.Connections {
		connection, err := grpc.NewClient(cfg.Target, options...)
		if err != nil {
			closeAll(connections)
			return nil, fmt.Errorf("create a client for %s: %w", cfg.Target, err)
		}
		connection.Connect()
		connections = append(connections, connection)
	}
	return connections, nil
}

func dialOptions(cfg Config, handler stats.Handler) []grpc.DialOption {
	const (
		firstBackoff      = 100 * time.Millisecond
		minConnectTimeout = 5 * time.Second
	)
	options := []grpc.DialOption{
		grpc.WithNoProxy(),
		grpc.WithStatsHandler(handler),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  min(firstBackoff, cfg.MaxBackoff),
				Multiplier: backoff.DefaultConfig.Multiplier,
				Jitter:     backoff.DefaultConfig.Jitter,
				MaxDelay:   cfg.MaxBackoff,
			},
			MinConnectTimeout: minConnectTimeout,
		}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(cfg.TLS)))
	} else {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	// The xds resolver routes by the service config that it brings.
	if !strings.HasPrefix(cfg.Target, "xds:") {
		options = append(options, grpc.WithDisableServiceConfig())
	}
	if cfg.ServiceConfig != "" {
		options = append(options, grpc.WithDefaultServiceConfig(cfg.ServiceConfig))
	}
	if !cfg.Retry {
		options = append(options, grpc.WithDisableRetry())
	}
	if cfg.Authority != "" {
		options = append(options, grpc.WithAuthority(cfg.Authority))
	}
	return append(options, cfg.DialOptions...)
}

func closeAll(connections []*grpc.ClientConn) {
	for _, connection := range connections {
		_ = connection.Close() // fails only when closed already
	}
}
