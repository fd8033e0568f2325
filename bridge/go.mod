module github.com/apn/ami/bridge

go 1.26.0

require github.com/apn/ami v0.0.0

replace github.com/apn/ami => ../
