module github.com/apn/ami/cmd/ami

go 1.26.0

require (
	github.com/apn/ami v0.0.0
	github.com/apn/ami/config v0.0.0
	github.com/creack/pty v1.1.24
	github.com/spf13/cobra v1.10.2
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace (
	github.com/apn/ami => ../../
	github.com/apn/ami/config => ../../config
)
