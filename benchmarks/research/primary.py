import pickle
from choose import *
from harness import *
DD=pickle.load(open("full.pkl","rb"))
out={}
cf={"surf":("surf",None,0,100,0),"gbm":("gbm",None,0,0,0),"uni":("words",T,3,3,0.05)}
for test,d in DD.items():
    tr=[i for i in range(len(data)) if not clash(test,g[i])]
    TC=[Counter(toks(p)) for p in d["P"]]
    pr={n:fit_predict(c,tr,d["S"],TC,T,y) for n,c in cf.items()}
    pr["fails"]=sum(x/x.std() for x in (fit_predict(c,tr,d["S"],TC,T,-s) for c in cf.values()))
    R={n:mid_ranks(np.round(x,6)) for n,x in pr.items()}
    R["student"]=mid_ranks(sum(pr[n]/pr[n].std() for n in cf)); R["len"]=mid_ranks(d["L"]); R["student+len"]=R["student"]+R["len"]
    out[test]=R
    print(f"{test:18s}"," ".join(f"{n} {apgr(x,d['pair']):.3f}/{apgr(x,d['many']):.3f}" for n,x in R.items()),flush=True)
pickle.dump(out,open("primary.pkl","wb"))
for n in R: print(n,"mean pair %.3f many %.3f"%(np.mean([apgr(out[t][n],DD[t]["pair"]) for t in out]),np.mean([apgr(out[t][n],DD[t]["many"]) for t in out])))
res=pickle.load(open("res.pkl","rb"))
for wa,wb,wl in ((1,1,1),(1,1,2),(1,2,1),(1,1,0)):
    row=[]
    for t in out:
        o=wa*mid_ranks(res[t]["ens4"])+wb*out[t]["student"]+wl*out[t]["len"]; row.append((apgr(o,DD[t]["pair"])-apgr(DD[t]["L"],DD[t]["pair"]),apgr(o,DD[t]["many"])-apgr(DD[t]["L"],DD[t]["many"])))
    print((wa,wb,wl),[f"{a:+.3f}/{b:+.3f}" for a,b in row],np.mean(row,0))
