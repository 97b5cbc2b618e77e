"use client";

import { ClerkProvider, SignInButton, useAuth, UserButton } from "@clerk/react";
import { useEffect, type ReactNode } from "react";

import { userOfToken } from "../lib/api.ts";
import { useApp } from "../lib/state.ts";

const WAIT_MILLISECONDS = 2000;

/** Keeps the state's session in step with Clerk's. */
function Session() {
  const { isLoaded, isSignedIn, sessionId, getToken } = useAuth();
  const { signIn, signOut } = useApp.getState();
  useEffect(() => {
    if (!isLoaded) return;
    if (!isSignedIn) {
      signOut();
      return;
    }
    let timer: ReturnType<typeof setTimeout>;
    let ended = false;
    const ask = async (): Promise<void> => {
      const token = await getToken();
      const userId = token ? await userOfToken(token).catch(() => null) : null;
      if (ended) return;
      if (userId !== null) signIn({ id: sessionId, userId });
      // A user who has just signed up is not known to the API until Clerk's webhook has arrived.
      else timer = setTimeout(() => void ask(), WAIT_MILLISECONDS);
    };
    void ask();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [isLoaded, isSignedIn, sessionId, getToken, signIn, signOut]);
  return isLoaded && !isSignedIn ? <SignInButton /> : <UserButton />;
}

export default function Clerk({ publishableKey, children }: { publishableKey: string; children: ReactNode }) {
  return (
    <ClerkProvider publishableKey={publishableKey}>
      <Session />
      {children}
    </ClerkProvider>
  );
}
