import gzip,json,random,sys
import numpy as np
sys.path.insert(0,".")
from benchmarks.routing_data import TIERS, ONE_FLEET
D=SETS
def rows(s): return [json.loads(l) for l in gzip.open(D+s+".jsonl.gz","rt")]
def load(name,tiers):
    out=[]
    for r in rows(name):
        sc={t:r["scores"][m] for t,m in tiers.items() if m in r["scores"]}
        if len(sc)==len(tiers) and not r.get("contaminated"):
            out.append((r["id"],r["subset"],r["prompt"],sc["fast"],sc["deep"]))
    return out
def mid_ranks(x):
    x=np.asarray(x,float); o=np.argsort(x,kind="stable"); r=np.empty(len(x)); 
    xs=x[o]; i=0
    u,inv,c=np.unique(x,return_inverse=True,return_counts=True)
    end=np.cumsum(c); return (end[inv]-c[inv]/2)/len(x)   # in 0..1, larger = harder
def apgr(order,gain,w=None):
    """order larger = first to deep. Weighted."""
    gain=np.asarray(gain,float)
    if w is None: w=np.ones(len(gain))
    u,inv=np.unique(order,return_inverse=True)
    W=np.bincount(inv,w,len(u)); G=np.bincount(inv,w*gain,len(u))
    W=W[::-1]; G=G[::-1]
    cg=np.cumsum(G); tot=cg[-1]
    return float(np.sum(W*(cg-G/2))/W.sum()/tot)
def boot(orders,gain,n=1000,seed=0):
    rng=np.random.default_rng(seed); N=len(gain); out={k:[] for k in orders}
    for _ in range(n):
        w=rng.poisson(1,N)
        for k,o in orders.items(): out[k].append(apgr(o,gain,w))
    return {k:np.array(v) for k,v in out.items()}
if __name__=="__main__":
    for s,t in TIERS.items():
        d=load(s,t); L=np.array([len(x[2]) for x in d]); g=np.array([x[4]-x[3] for x in d])
        print(s,len(d),round(apgr(L,g),3))
