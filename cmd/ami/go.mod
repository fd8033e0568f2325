module github.com/apn/ami/cmd/ami

go 1.26.0

require github.com/apn/ami v0.0.0

replace github.com/apn/ami => ../../
