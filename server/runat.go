package server

import (
	"os"
	"os/signal"
	"syscall"
)

// RunAt runs a program whose server is the one at addr: it starts the
// program, passes signals on to it and returns how it ended.
func RunAt(addr, token string, p Program) (Exit, error) {
	if len(p.Args) == 0 {
		return Exit{}, errNoArgs
	}
	if p.Env == nil {
		p.Env = os.Environ()
	}
	env := environ(p.Env, serverVariable, addr)
	if token != "" {
		env = environ(env, tokenVariable, token)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT)
	c, err := launch(p.Path, p.Args, env)
	if err != nil {
		return Exit{}, err
	}
	for {
		select {
		case sig := <-signals:
			syscall.Kill(c.pid, sig.(syscall.Signal))
		case exit := <-c.done:
			return exit, nil
		}
	}
}

// tokenVariable holds the token that a server asks for.
const tokenVariable = "REMOTEC_TOKEN"
