//! Carries out what the state orders, and brings what comes of it.

use tokio::sync::mpsc;

use crate::{
    api::Api,
    link::{self, Link, LinkEvent},
    model::Failure,
    state::{Fetch, Loaded, Order},
};

pub(crate) enum Event {
    Link(LinkEvent),
    Loaded(Fetch, Result<Loaded, Failure>),
}

pub(crate) struct Runner {
    api: Api,
    link: Link,
    tell: mpsc::Sender<(Fetch, Result<Loaded, Failure>)>,
    loaded: mpsc::Receiver<(Fetch, Result<Loaded, Failure>)>,
}

impl Runner {
    pub(crate) fn start(api: Api) -> Self {
        let (tell, loaded) = mpsc::channel(16);
        Self { link: link::start(api.clone()), api, tell, loaded }
    }

    pub(crate) fn carry_out(&self, orders: Vec<Order>) {
        for order in orders {
            match order {
                // Full, the connection is stuck and about to be given up; what matters is said again on the next.
                Order::Say(connection, say) => drop(self.link.say.try_send((connection, say))),
                Order::Fetch(fetch) => {
                    let (api, tell) = (self.api.clone(), self.tell.clone());
                    tokio::spawn(async move {
                        let outcome = load(&api, &fetch).await;
                        // Nobody waits for it when the program is about to end.
                        let _ = tell.send((fetch, outcome)).await;
                    });
                }
            }
        }
    }

    /// May be dropped and called again. `None`: nothing will happen any more.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            event = self.link.events.recv() => match event {
                Some(event) => Some(Event::Link(event)),
                // The link has ended; what is being loaded may still come.
                None => self.loaded.recv().await.map(|(fetch, outcome)| Event::Loaded(fetch, outcome)),
            },
            loaded = self.loaded.recv() => loaded.map(|(fetch, outcome)| Event::Loaded(fetch, outcome)),
        }
    }
}

async fn load(api: &Api, fetch: &Fetch) -> Result<Loaded, Failure> {
    Ok(match fetch {
        Fetch::Chats => Loaded::Chats(api.chats().await?),
        Fetch::Contacts => Loaded::Contacts(api.contacts().await?),
        Fetch::History { with, before } => {
            let (page, is_more) = api.history(with, before.as_deref()).await?;
            Loaded::History { page, is_more }
        }
        Fetch::Read { with, seq } => {
            api.mark_read(with, *seq).await?;
            Loaded::Read
        }
    })
}
