import { useEffect, useState } from "react";

interface CountdownState {
  readonly secondsLeft: number;
  readonly start: (seconds: number) => void;
}

/** Whole seconds until something may be tried again; 0 at once until started. */
export function useCountdown(): CountdownState {
  const [until, setUntil] = useState(0);
  const [secondsLeft, setSecondsLeft] = useState(0);
  useEffect(() => {
    if (until === 0) return undefined;
    const look = () => setSecondsLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    look();
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, [until]);
  return { secondsLeft, start: (seconds) => setUntil(Date.now() + seconds * 1000) };
}

export function Countdown({ seconds }: { readonly seconds: number }) {
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  return (
    <span className="figures">
      {minutes > 0 && `${minutes} min `}
      {rest} s
    </span>
  );
}
